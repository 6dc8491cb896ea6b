"""A Django site, for the tests.

It takes the directories of two caches, prints the port that it listens on, and then
evaluates each line of its input, a JSON string, and answers with the repr of the result.
"""

import json
import os
import socketserver
import sys
import threading
from wsgiref import simple_server

import diskcache
from django.conf import settings
from django.core.cache import cache, caches
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpResponse
from django.urls import path
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import cache_page


def backend(location, **more):
    # Operations of Django's that find the database locked wait, and are not dropped.
    return dict({"BACKEND": "diskcache.DjangoCache", "LOCATION": location, "DATABASE_TIMEOUT": 60}, **more)


directory = sys.argv[1]
settings.configure(
    SECRET_KEY="secret",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    CACHES={
        "default": backend(directory, KEY_PREFIX="site"),
        "shared": backend(sys.argv[2], OPTIONS={"disk": diskcache.JSONDisk}, SHARDS=2, VERSION=5, TIMEOUT=60),
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SESSION_CACHE_ALIAS="shared",
)

made = 0  # pages that were not in the cache


@cache_page(60)
def page(request):
    global made
    made += 1
    return HttpResponse("page %d" % made)


def login(request, user):
    request.session["_auth_user_id"] = user
    return HttpResponse("welcome")


def whoami(request):
    return HttpResponse(request.session.get("_auth_user_id", "nobody"))


def hit(request):
    return HttpResponse(cache.incr("hits"))


def media(request, name):
    try:
        with cache.read("media/" + name) as reader:
            response = HttpResponse(content_type="text/plain")
            response["X-Accel-Redirect"] = "/cached/" + os.path.relpath(reader.name, directory)
            return response
    except KeyError:
        raise Http404


urlpatterns = [
    path("page", page),
    path("login/<user>", login),
    path("whoami", whoami),
    path("hit", hit),
    path("site/<name>", media),
]


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


server = simple_server.make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
shared = caches["shared"]
for line in sys.stdin:
    code = json.loads(line)
    try:
        try:
            result = eval(compile(code, "test", "eval"))
        except SyntaxError:
            exec(compile(code, "test", "exec"))
            result = None
        answer = [True, repr(result)]
    except Exception as e:
        answer = [False, repr(e)]
    print(json.dumps(answer), flush=True)
