"""The doubles: each module below the plugin."""
