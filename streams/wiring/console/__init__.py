"""The console: pages for the people of the line, made on the server. A page is a module, a template and a row in `pages.py`.

Knows no database and no Kafka: what it asks and tells goes through `ports.py`, and `processors/console.py` plugs it together.
"""
