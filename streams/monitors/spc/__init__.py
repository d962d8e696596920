"""SPC as numbers: charts, limits, rules, run lengths, capability, true rates. Knows no message, no stream."""
