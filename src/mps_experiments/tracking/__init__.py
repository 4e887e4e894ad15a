"""MLflow, the index that people browse. The only package that imports mlflow."""
