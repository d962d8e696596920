"""The contract on the bus: envelope, ids, messages, topics. Can be installed and used without the rest."""
