"""The checked .eie container: models at rest."""
