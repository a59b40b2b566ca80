"""Who there is, who they are, and who may what."""
