"""What a study will cost, told before anything is paid: `afdcd tune --check`."""
