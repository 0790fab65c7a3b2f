"""What every layer may use: errors, options, names, optional libraries."""
