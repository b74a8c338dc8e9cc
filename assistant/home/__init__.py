"""The home: areas, devices, states, the one vocabulary of actions, and who carries them out."""
