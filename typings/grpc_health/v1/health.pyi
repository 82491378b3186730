from grpc_health.v1 import _async as aio
from grpc_health.v1 import health_pb2_grpc as _grpc

__all__ = ["OVERALL_HEALTH", "SERVICE_NAME", "HealthServicer", "aio"]

SERVICE_NAME: str
OVERALL_HEALTH: str

class HealthServicer(_grpc.HealthServicer): ...
