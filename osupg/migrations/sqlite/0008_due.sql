-- What is due to be tried again, and transfers that may have been cut off, whatever else there is.
DROP INDEX presence_state;
CREATE INDEX presence_due ON presence (state, retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX presence_under_way ON presence (changed_at) WHERE state = 'transferring';
