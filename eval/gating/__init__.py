"""The deploy gate: the policy, the verdict, and how it is told."""
