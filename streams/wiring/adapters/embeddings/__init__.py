"""Embeddings of the parts that people look at: read from embedding.v1, kept in a file beside the console's database, compared.

The file holds nothing of its own: removed, it is read again from the topic, as far as Kafka still has it.
"""
