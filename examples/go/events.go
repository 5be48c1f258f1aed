package main

import (
	"encoding/hex"

	"securechat-example/securechat"
)

// where says in which group it came, and what has to be said of that.
func where(event *securechat.Event) string {
	if event.Group == "" {
		return ""
	}
	if event.Flags&securechat.FlagBeforeRemoval != 0 {
		return " in " + event.Group + " (who did not know yet of a removal: who was removed may read this)"
	}
	return " in " + event.Group
}

// handle does and says what follows from an event.
func (c *chat) handle(event *securechat.Event) error {
	switch event.Kind {
	case securechat.EventOpen:
		c.failures = 0
		if registered, _ := c.client.About(); !registered {
			return c.client.Register(c.password)
		}
	case securechat.EventVerify:
		if event.Flags&securechat.FlagExpected != 0 {
			say("the key of the relay HAS CHANGED: expected %s", hex.EncodeToString(event.Expected[:]))
		} else {
			say("if this fingerprint is right, put it behind the address, after a #")
		}
		say("the relay shows the fingerprint %s", hex.EncodeToString(event.Fingerprint[:]))
		c.status = 6
		return c.client.CloseLink(event.Link)
	case securechat.EventLinkClosed:
		if event.Status != 0 {
			say("the connection ended: %s", securechat.StatusMessage(event.Status))
		}
		c.hangUp()
	case securechat.EventLoggedIn:
		if event.Flags&securechat.FlagListed != 0 {
			say("logged in as %s", c.user)
		} else {
			say("another device of yours has to approve this one")
		}
	case securechat.EventRefused:
		say("the relay refused (%d)", event.Code)
		if event.Request == securechat.RequestRegister {
			c.status = 4
		}
	case securechat.EventUser:
		if event.User != "" {
			say("%s is %s", event.User, map[bool]string{true: "offline", false: "there"}[event.Presence == securechat.PresenceOffline])
		}
	case securechat.EventUserUnknown:
		say("there is no user %s here", event.User)
	case securechat.EventListsAgree:
		say("/verify %s can show the safety number now", event.User)
	case securechat.EventKeysChanged:
		say("the keys of %s HAVE CHANGED: nothing is sent to them any more", event.User)
	case securechat.EventMessage:
		if event.Message == securechat.MessageText {
			changed := map[bool]string{true: " (KEYS CHANGED)"}[event.Trust == securechat.TrustViolation]
			say("%s%s%s: %s", event.User, changed, where(event), event.Data)
		}
	case securechat.EventDelivered:
		say("%s received %d", event.User, event.IDs)
	case securechat.EventFailed:
		say("a message cannot be sent: %s", securechat.StatusMessage(event.Status))
	case securechat.EventFileOffered:
		c.offers = append(c.offers, event)
		say("%s%s offers %s (%d bytes): /accept %d takes it", event.User, where(event), event.Name, event.Total, len(c.offers))
	case securechat.EventGroupJoined:
		open := map[bool]string{true: " (open: whoever can register at the relay reads it, its operator included)"}[event.Flags&securechat.FlagOpen != 0]
		say("you are in %s%s", event.Group, open)
	case securechat.EventFileNeed, securechat.EventFileChunk:
		return c.move(event)
	case securechat.EventFileSent:
		if file := c.take(event.File); file != nil {
			file.drop()
			say("%s is sent to %s", file.name, file.user)
		}
	case securechat.EventFileReceived:
		if file := c.take(event.File); file != nil {
			path, err := file.keep(c.downloads)
			if err != nil {
				return err
			}
			say("saved from %s: %s", file.user, path)
		}
	case securechat.EventFileFailed:
		if file := c.take(event.File); file != nil {
			file.drop()
			say("%s (%s) did not get through: %s", file.name, file.user, securechat.StatusMessage(event.Status))
		}
	}
	return nil
}

// move reads or writes bytes of a file. One from before a restart is not open any more and has to be offered again.
func (c *chat) move(event *securechat.Event) error {
	file := c.files[event.File]
	if file == nil {
		return c.client.CancelFile(event.File)
	}
	var err error
	if event.Kind == securechat.EventFileChunk {
		_, err = file.WriteAt(event.Data, int64(event.Offset))
	} else {
		content := make([]byte, event.Length)
		// Where the file has become shorter, the library says so.
		count, _ := file.ReadAt(content, int64(event.Offset))
		err = c.client.SupplyFile(event.File, event.Chunk, content[:count])
	}
	if err != nil {
		c.client.CancelFile(event.File)
		c.take(event.File).drop()
	}
	return err
}

func (c *chat) accept(offer *securechat.Event) error {
	file, err := newFile(offer.User, offer.Name, c.downloads)
	if err != nil {
		return err
	}
	if err := c.client.AcceptFile(offer.File); err != nil {
		file.drop()
		return err
	}
	c.files[offer.File] = file
	return nil
}

func (c *chat) take(number securechat.Number) *file {
	file := c.files[number]
	delete(c.files, number)
	return file
}
