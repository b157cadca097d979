"""What stands beside training: plan, benchmark, stability, report, and preparation of data."""
