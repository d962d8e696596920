"""The page that compares a candidate with what is in force."""
