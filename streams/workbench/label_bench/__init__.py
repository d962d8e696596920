"""How many labels it takes: the queue's order against chance, on sets whose classes are known."""
