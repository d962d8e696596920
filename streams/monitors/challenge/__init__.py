"""Challenge parts: when a station must prove itself, and what the answers prove. Knows no Kafka, no image, no model."""
