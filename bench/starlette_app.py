import json
import os

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

directory = os.environ["BENCH_DIRECTORY"]


async def weights(request):
    return FileResponse(os.path.join(directory, "weights.bin"))


async def metadata(request):
    with open(os.path.join(directory, "manifest.json")) as file:
        manifest = json.load(file)
    return JSONResponse(manifest["info"])


app = Starlette(routes=[Route("/weights.bin", weights), Route("/info", metadata)])
