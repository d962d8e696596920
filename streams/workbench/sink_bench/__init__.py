"""What the sink and the questions to its database cost, on many generated parts."""
