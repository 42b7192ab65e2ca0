"""Elastic's EQL detection rules on a Kafka stream of ECS events."""

__version__ = "0.2.0"
