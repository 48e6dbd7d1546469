"""Scans a TLS server with sslyze and holds it against one of Mozilla's configurations.

    sslyze_scan.py PORT NAME CONFIGURATION ROOT     modern or intermediate; whom to believe

Says `compliant`, or what differs. Beyond Mozilla's list, early data over TCP must not be taken, and a
client must not be able to renegotiate.
"""

import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

from sslyze import (
    CertificateInfoExtraArgument,
    ScanCommand,
    ScanCommandsExtraArguments,
    Scanner,
    ServerNetworkLocation,
    ServerScanRequest,
)
from sslyze.mozilla_tls_profile.tls_config_checker import (
    SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER,
    MozillaTlsConfiguration,
    ServerNotCompliantWithTlsConfiguration,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)


def main(port, name, configuration, root):
    root = CertificateInfoExtraArgument(custom_ca_file=Path(root))
    request = ServerScanRequest(
        server_location=ServerNetworkLocation(name, int(port), ip_address="127.0.0.1"),
        scan_commands=SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER | {ScanCommand.TLS_1_3_EARLY_DATA},
        scan_commands_extra_arguments=ScanCommandsExtraArguments(certificate_info=root),
    )
    scanner = Scanner()
    scanner.queue_scans([request])
    [scan] = scanner.get_results()
    if scan.connectivity_error_trace:
        sys.exit("".join(scan.connectivity_error_trace.format()))
    wanted = MozillaTlsConfiguration.get(TlsConfigurationEnum(configuration))
    try:
        check_server_against_tls_configuration(scan, wanted)
    except ServerNotCompliantWithTlsConfiguration as differs:
        for what, why in sorted(differs.issues.items()):
            print(f"{what}: {why}")
        return
    if scan.scan_result.tls_1_3_early_data.result.supports_early_data:
        sys.exit("early data is taken over TCP")
    if scan.scan_result.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos:
        sys.exit("a client may renegotiate")
    print("compliant")


if __name__ == "__main__":
    main(*sys.argv[1:])
