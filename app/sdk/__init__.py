"""What a VASP, an agency or a peer imports: a client of the HTTP API, signing in batches, and checks that need no network.

Packed together with `domain` and `seal` as the wheel `cordon-client`; imports among the three are relative.
"""
