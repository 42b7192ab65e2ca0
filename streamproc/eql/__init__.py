"""The EQL language: text to tree to matcher. Knows no Kafka and no rule files."""
