"""Recordings: what people said, modules decided and boards answered, to look at and to play again."""
