"""The console's own database: who may log in, who is logged in, and what waits until Kafka has it.

A file of its own, not the sink's database: that one is emptied and filled from the topics again, where this one holds what no
topic has; and a file has one writer at a time, so an answer would wait for the sink's transactions. `verdictline run console`,
`verdictline user` and `demo` open it; several processes on one machine may share it.
"""
