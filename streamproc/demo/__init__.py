"""The demonstration: a make-believe company's hosts, an attack, a worker and a live view."""
