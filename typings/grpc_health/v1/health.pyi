from grpc_health.v1 import health_pb2_grpc as _grpc
from grpc_health.v1._async import HealthServicer as _HealthServicer

SERVICE_NAME: str
OVERALL_HEALTH: str

class HealthServicer(_grpc.HealthServicer): ...

class aio:
    HealthServicer = _HealthServicer
