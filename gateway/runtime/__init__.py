"""What the process has to do with its machine: state folder, log, memory, priorities, turns."""
