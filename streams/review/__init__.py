"""People who look at parts: how well they agree. Knows no page and no stream."""
