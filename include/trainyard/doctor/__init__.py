"""Whether an installation is well: independent checks over ports, judged without Airflow or a cluster's client."""
