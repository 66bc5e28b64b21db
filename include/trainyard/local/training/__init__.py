"""The Python that trainings find on one machine: a prefix of its own, apart from the service's."""
