package setup

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// door lets one browser in: the first that comes with the link. Only hashes of the words are kept, and they are compared
// in the same time whatever they are.
type door struct {
	token   word   // of the link
	used    bool   // the link has been opened
	session word   // of the browser that opened it
	states  []word // of forms that are on their way to GitHub; each comes back once
}

// word is something that only one browser knows, for a while.
type word struct {
	sum   [32]byte
	until time.Time
}

func (w word) is(said string, now time.Time) bool {
	sum := sha256.Sum256([]byte(said))
	return subtle.ConstantTimeCompare(sum[:], w.sum[:]) == 1 && now.Before(w.until)
}

// maxStates is how many forms may be on their way at once: tabs that one person has open.
const maxStates = 16

const cookie = "conveyor_setup"

// newWord makes 256 random bits, and what is kept of them.
func (p *Pages) newWord() (said string, kept word, err error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(p.o.Random, raw); err != nil {
		return "", word{}, fmt.Errorf("setup: no random bytes: %w", err)
	}
	said = base64.RawURLEncoding.EncodeToString(raw)
	return said, word{sum: sha256.Sum256([]byte(said)), until: p.o.Now().Add(Life)}, nil
}

// Link opens the door, and returns the address that lets one browser in, once, within the hour.
func (p *Pages) Link() (string, error) {
	said, kept, err := p.newWord()
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.door = door{token: kept}
	return strings.TrimSuffix(p.o.PublicURL, "/") + "/setup?token=" + said, nil
}

// enter changes the link's token into a session, and leads to the same page without it, so that it stays in no history.
func (p *Pages) enter(c *gin.Context) {
	token, given := c.GetQuery("token")
	if !given {
		return
	}
	if p.inside(c) { // the same browser opens the link again
		p.redirect(c, "/setup")
		return
	}
	said, kept, err := p.newWord()
	if err != nil {
		p.o.Log.Error("the set-up page cannot be opened", "err", err)
		p.say(c, http.StatusServiceUnavailable, "The page cannot be opened just now", "The server found no random bytes. Try again in a moment.")
		return
	}
	p.mu.Lock()
	right := p.door.token.is(token, p.o.Now())
	used := p.door.used
	if right && !used {
		p.door.used, p.door.session = true, kept
	}
	p.mu.Unlock()
	switch {
	case !right:
		p.say(c, http.StatusForbidden, "This link opens nothing", "It is not the link that the server printed, or it is older than an hour. Restart the server: it prints a new one.")
	case used:
		p.o.Log.Warn("the set-up link was opened a second time, and refused")
		p.say(c, http.StatusForbidden, "This link has been used", "A set-up link lets one browser in, once. When that was not you, restart the server now: it prints a new link, and the old session ends.")
	default:
		http.SetCookie(c.Writer, &http.Cookie{
			Name: cookie, Value: said, Path: "/setup", MaxAge: int(Life.Seconds()), HttpOnly: true,
			Secure: strings.HasPrefix(p.o.PublicURL, "https://"), SameSite: http.SameSiteLaxMode, // GitHub leads back here
		})
		p.redirect(c, "/setup")
	}
}

// guard lets the session in.
func (p *Pages) guard(c *gin.Context) {
	if p.inside(c) {
		return
	}
	p.mu.Lock()
	open := !p.door.token.until.IsZero()
	p.mu.Unlock()
	if !open {
		p.say(c, http.StatusNotFound, "There is nothing to set up", "This server has its App. `conveyor doctor` on the server says how it stands.")
		return
	}
	p.say(c, http.StatusForbidden, "The server has printed a link", "Open the link that `conveyor serve` printed when it started. It lets one browser in, for an hour; restart the server for a new one.")
}

func (p *Pages) inside(c *gin.Context) bool {
	said, err := c.Cookie(cookie)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.door.session.is(said, p.o.Now())
}

// newState is a word for one form's way to GitHub and back.
func (p *Pages) newState() (string, error) {
	said, kept, err := p.newWord()
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.door.states = append(p.door.states, kept)
	if more := len(p.door.states) - maxStates; more > 0 {
		p.door.states = p.door.states[more:]
	}
	return said, nil
}

// takeState reports whether a form of ours comes back, and forgets it.
func (p *Pages) takeState(said string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := -1
	for i, w := range p.door.states {
		if w.is(said, p.o.Now()) {
			found = i
		}
	}
	if found < 0 {
		return false
	}
	p.door.states = append(p.door.states[:found], p.door.states[found+1:]...)
	return true
}

func (p *Pages) redirect(c *gin.Context, to string) {
	c.Redirect(http.StatusSeeOther, to)
	c.Abort()
}

// origin is the part of an address that a policy names.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
