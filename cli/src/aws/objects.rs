//! S3: the bucket of the Lambda's zip.

use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::Cloud;
use super::error::{code, failure};
use crate::error::{Failure, Result};

impl Cloud {
    /// Whether a bucket has an object of this key.
    pub async fn has_object(&self, bucket: &str, key: &str) -> Result<bool> {
        match self.s3.head_object().bucket(bucket).key(key).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(false),
            Err(error) => Err(failure(&format!("cannot look into bucket {bucket}"), &error)),
        }
    }

    /// Puts an object.
    pub async fn put_object(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<()> {
        let request = self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes));
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| failure(&format!("cannot upload to bucket {bucket}"), &error))
    }

    /// Deletes everything in a bucket, old versions too; → how many. A bucket that is not there is empty.
    pub async fn empty_bucket(&self, bucket: &str) -> Result<usize> {
        let what = format!("cannot empty bucket {bucket}");
        let mut gone = 0;
        loop {
            let listed = match self.s3.list_object_versions().bucket(bucket).send().await {
                Ok(listed) => listed,
                Err(error) if code(&error) == Some("NoSuchBucket") => return Ok(gone),
                Err(error) => return Err(failure(&what, &error)),
            };
            let versions =
                listed.versions.unwrap_or_default().into_iter().map(|one| (one.key, one.version_id));
            let markers =
                listed.delete_markers.unwrap_or_default().into_iter().map(|one| (one.key, one.version_id));
            let mut ids = Vec::new();
            for (key, version) in versions.chain(markers) {
                let id =
                    ObjectIdentifier::builder().key(key.unwrap_or_default()).set_version_id(version).build();
                ids.push(
                    id.map_err(|error| Failure::failed(&what, error.to_string(), "use a newer mobzctl"))?,
                );
            }
            if ids.is_empty() {
                return Ok(gone);
            }
            gone += ids.len();
            let delete = Delete::builder().set_objects(Some(ids)).quiet(true).build();
            let delete =
                delete.map_err(|error| Failure::failed(&what, error.to_string(), "use a newer mobzctl"))?;
            let answer = self.s3.delete_objects().bucket(bucket).delete(delete).send().await;
            let answer = answer.map_err(|error| failure(&what, &error))?;
            // What cannot be deleted would be listed again for ever.
            if let Some(error) = answer.errors.unwrap_or_default().first() {
                let why = error.message.clone().unwrap_or_default();
                return Err(Failure::failed(what, why, "delete it yourself, then run this again"));
            }
        }
    }
}
