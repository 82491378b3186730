"""What can be asked of the scheduler, one module per subject."""
