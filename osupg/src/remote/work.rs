//! What a worker fetches and brings.

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Method, StatusCode};

use super::{Body, Client};
use crate::error::{Error, Result};
use crate::store::layout::Piece;

impl Client {
    /// The bytes from `from` on of a file that a claimed task takes, as they come. They are not checked
    /// against the hash here: whoever puts them together does that.
    ///
    /// # Errors
    /// When the claim holds no task, the task takes no such file, or the service cannot be reached.
    pub async fn work_file(&self, claim: &str, sha256: &str, size: u64, from: u64) -> Result<Body> {
        let mut request =
            self.request(Method::GET, &["api", "v1", "work", claim, "files", sha256])?;
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = self.arrived(request.send().await).await?;
        let expected = size.saturating_sub(from);
        let answered = match (response.status(), from) {
            (StatusCode::OK, 0) => true,
            (StatusCode::PARTIAL_CONTENT, 1..) => {
                let wanted = format!("bytes {from}-{}/{size}", size.saturating_sub(1));
                response.headers().get(CONTENT_RANGE).is_some_and(|range| range == wanted.as_str())
            }
            _ => false,
        };
        if !answered || response.content_length() != Some(expected) {
            return Err(Error::damaged(format!(
                "{} answers with other bytes of file {sha256} than were asked for",
                self.url()
            )));
        }
        Ok(Body { response, url: self.url().to_string(), left: expected })
    }

    /// Brings a piece of the new WIM of a claimed task.
    ///
    /// # Errors
    /// When the claim holds no task or the piece was not offered, and when the service cannot be
    /// reached.
    pub async fn put_piece(&self, claim: &str, piece: &Piece, bytes: Bytes) -> Result<()> {
        let digits = piece.id.to_string();
        let request = self
            .request_by(
                self.sender()?,
                Method::PUT,
                &["api", "v1", "work", claim, "objects", &digits],
            )?
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes);
        self.arrived(request.send().await).await.map(drop)
    }
}
