//! A client whose transport parameters (RFC 9000 section 18) are whatever a test wants.

use std::any::Any;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn::{ConnectError, ConnectionId, Endpoint, Side};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;
use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, Suite, Version};

use super::drive::Drive;
use super::raw::Ended;
use crate::tls::Tls;

/// Sends a first message with these parameters; how the peer ended it.
///
/// # Errors
/// It did not end in time.
pub fn greet(address: SocketAddr, tls: &Tls, parameters: Vec<u8>) -> io::Result<Ended> {
    let drive = Drive::start();
    let tls = tls.clone().offering(&["h3"]);
    let garbled = Garbled { config: tls.client(), parameters };
    drive.wait(async {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let config = quinn::ClientConfig::new(Arc::new(garbled));
        let connecting =
            endpoint.connect_with(config, address, &tls.name).map_err(io::Error::other)?;
        match connecting.await {
            Ok(_) => Ok(Ended::Whole),
            Err(error) => Ok(Ended::of(&error)),
        }
    })
}

struct Garbled {
    config: Arc<rustls::ClientConfig>,
    parameters: Vec<u8>,
}

impl crypto::ClientConfig for Garbled {
    fn start_session(
        self: Arc<Self>,
        _: u32,
        server_name: &str,
        _: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let wrong = |_| ConnectError::InvalidServerName(server_name.to_owned());
        let name = ServerName::try_from(server_name.to_owned()).map_err(wrong)?;
        let (config, parameters) = (Arc::clone(&self.config), self.parameters.clone());
        let suite = config.crypto_provider().cipher_suites.iter().find_map(|suite| {
            let is_initial = suite.suite() == rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
            suite.tls13().filter(|_| is_initial)?.quic_suite()
        });
        let connection = ClientConnection::new(config, Version::V1, name, parameters)
            .expect("any bytes may be parameters");
        Ok(Box::new(Hello { connection, suite: suite.expect("the provider has it") }))
    }
}

/// A session that says its first message and hears nothing: the peer closes.
struct Hello {
    connection: ClientConnection,
    suite: Suite,
}

impl Session for Hello {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        let keys = self.suite.keys(id, side.into(), Version::V1);
        Keys {
            header: KeyPair {
                local: Box::new(keys.local.header),
                remote: Box::new(keys.remote.header),
            },
            packet: KeyPair {
                local: Box::new(keys.local.packet),
                remote: Box::new(keys.remote.packet),
            },
        }
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        true
    }

    fn read_handshake(&mut self, _: &[u8]) -> Result<bool, TransportError> {
        Ok(false)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        Ok(None)
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let _ = self.connection.write_hs(out);
        None
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        None
    }

    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn export_keying_material(
        &self,
        _: &mut [u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}
