"""Two ends of a secure channel in one program. In yours each end is on its own machine, and the bytes go over a socket."""

from securechat import Data, Identity, Link, Open, Purpose, Role

with Identity.generate() as server:
    ends = [Link(Role.INITIATOR, Purpose.RELAY, pin=server.fingerprint()), Link(Role.RESPONDER, Purpose.RELAY, server)]
    received = None
    while received is None:
        for here, there in (ends, reversed(ends)):
            there.input(here.read_output())
            for event in there.events():
                match event:
                    case Open() if there is ends[0]:
                        there.send(b"hello")
                    case Data(data):
                        received = data
    print(received.decode())
