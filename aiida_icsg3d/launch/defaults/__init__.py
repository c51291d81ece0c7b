"""What a run does where nobody says: what it aims at, and with which potential it relaxes first."""
