"""Kafka in and out through Faust: the only package that imports faust."""
