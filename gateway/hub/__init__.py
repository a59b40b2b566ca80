"""What happens to a message: accepted durably, sent through the chain, routed to whom it is for."""
