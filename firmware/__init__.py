"""What runs on boards: data for the gateway, copied to them."""
