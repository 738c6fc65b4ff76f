# SPDX-License-Identifier: GPL-2.0-or-later
"""aws_sdk - the vendor's SDK for AWS IoT as a device: an independent client of the test cloud (peers/node-aws/sdk.js)."""
from azure_sdk import SdkDevice


class AwsDevice(SdkDevice):
    folder, package = "node-aws", "aws-iot-device-sdk"

    def open(self, aws, thing, kind="shadow"):
        files = {"ca": aws.pki.path("ca.pem"), "cert": aws.pki.path(thing + ".pem"), "key": aws.pki.path(thing + ".key")}
        self.do("open", kind=kind, host="localhost", port=aws.port, client=thing, **files)
        self.wait_event("connect")

    def ask(self, what, thing, **more):
        """get, update or delete: (accepted or rejected, what came with it)"""
        before = len(self.seen("status"))
        self.do(what, thing=thing, **more)
        status = self.wait_event("status", before + 1)
        return status["stat"], status["state"]
