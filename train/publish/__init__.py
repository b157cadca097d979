"""What leaves a run: exported weights, their card, and the push to the Hub."""
