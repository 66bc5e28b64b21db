"""Where the stores of manifests may be: every spelling, what is allowed, what is narrowed, and the service's own."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from manifest_samples import MANIFEST, limits
from readmanifest import read_manifest

from trainyard.domain.addresses import ANYWHERE, AddressPolicy, literal
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

_INSIDE = [
    "http://127.0.0.1:9000",
    "http://127.1",
    "http://127.8.9.10",
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.1",
    "http://0177.0.0.1",
    "http://017700000001",
    "http://127.0.0.1.",
    "http://localhost",
    "http://LOCALHOST.",
    "http://a.localhost:9000",
    "http://[::1]:9000",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
    "http://[::127.0.0.1]",
    "http://[64:ff9b::7f00:1]",
    "http://[2002:7f00:1::]",
    "http://0.0.0.0",
    "http://0",
    "http://0.1.2.3",
    "http://[::]",
    "http://169.254.169.254",
    "http://2852039166",
    "http://[::ffff:169.254.169.254]",
    "http://[fe80::1]",
    "http://[fe80::1%25eth0]",
    "http://[fd00:ec2::254]",
    "http://100.100.100.200",
    "http://224.0.0.1",
    "http://[ff02::1]",
    "http://240.0.0.1",
    "http://255.255.255.255",
]
_OUTSIDE = [
    "https://s3.example.com",
    "http://10.1.2.3:9000",
    "http://172.18.0.3",
    "http://192.168.1.5",
    "http://[fd12::5]",
    "http://203.0.113.5",
    "https://localhost.example.com",
]


@pytest.mark.parametrize("url", _INSIDE)
def test_the_inside_of_the_machine_is_refused_in_every_spelling(url):
    assert AddressPolicy().refusal_of_url(url)
    assert not ANYWHERE.refusal_of_url(url)


@pytest.mark.parametrize("url", _OUTSIDE)
def test_all_else_is_fine(url):
    assert not AddressPolicy().refusal_of_url(url)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1", "0.0.0.0"])
def test_a_name_that_stands_for_the_inside_is_refused(address):
    assert AddressPolicy().refusal_of_address("s3.example.com", 443, ip_address(address))


def test_an_address_of_the_machine_itself_is_refused():
    own = {ip_address("10.1.2.3")}
    assert AddressPolicy().refusal_of_address("s3.example.com", 443, ip_address("10.1.2.3"), own)
    assert not AddressPolicy().refusal_of_address("s3.example.com", 443, ip_address("10.1.2.4"), own)


class TestInternal:
    policy = AddressPolicy(internal=(("127.0.0.1", 9000), ("objects", 9000)))

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://localhost:9000", "http://127.1:9000"])
    def test_what_is_allowed_is_fine_as_it_may_be_written(self, url):
        assert not self.policy.refusal_of_url(url)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://127.0.0.2:9000", "http://[::1]:9000"])
    def test_another_port_or_address_is_not(self, url):
        assert self.policy.refusal_of_url(url)

    def test_a_named_host_is_fine_wherever_it_is(self):
        assert not self.policy.refusal_of_address("objects", 9000, ip_address("127.0.0.1"))
        assert self.policy.refusal_of_address("objects", 8080, ip_address("127.0.0.1"))
        assert self.policy.refusal_of_address("other", 9001, ip_address("127.0.0.1"))


class TestNarrowed:
    policy = AddressPolicy(hosts=("*.example.com", "10.20.0.0/16"), internal=(("127.0.0.1", 9000),))

    def test_named_hosts_and_networks_are_fine(self):
        assert not self.policy.refusal_of_address("s3.example.com", 443, ip_address("203.0.113.5"))
        assert not self.policy.refusal_of_address("store", 443, ip_address("10.20.1.1"))
        assert not self.policy.refusal_of_url("http://127.0.0.1:9000")

    def test_others_are_refused(self):
        assert self.policy.refusal_of_address("example.com", 443, ip_address("203.0.113.5"))
        assert self.policy.refusal_of_address("s3.example.com.evil.org", 443, ip_address("203.0.113.5"))
        assert self.policy.refusal_of_url("http://10.21.0.1")

    def test_it_opens_nothing(self):
        assert self.policy.refusal_of_address("s3.example.com", 443, ip_address("127.0.0.1"))
        assert AddressPolicy(hosts=("127.0.0.0/8", "*")).refusal_of_url("http://127.0.0.1")

    def test_a_name_that_no_pattern_has_is_refused_as_it_is_written_where_no_network_could_have_it(self):
        assert AddressPolicy(hosts=("*.example.com",)).refusal_of_url("https://other.org")
        assert not self.policy.refusal_of_url("https://other.org")


def test_what_belongs_to_the_service_is_refused_by_name_address_and_network():
    policy = AddressPolicy(denied=("api-server", "10.43.0.0/16", "172.18.0.5"))
    assert policy.refusal_of_url("http://api-server:8080")
    assert policy.refusal_of_url("http://10.43.0.1")
    assert policy.refusal_of_address("s3.example.com", 80, ip_address("172.18.0.5"))
    assert policy.denied_names == ("api-server",)


def test_the_settings_are_read_into_the_policy():
    names = {"STORE_HOSTS": "*.Example.com, 10.20.0.0/16", "STORE_INTERNAL": "objects:9000,[::1]:9000"}
    policy = AddressPolicy.of(read_settings({f"TRAINYARD_{name}": value for name, value in names.items()}))
    assert policy.hosts == ("*.example.com", "10.20.0.0/16")
    assert policy.internal == (("objects", 9000), ("::1", 9000))


@pytest.mark.parametrize("value", ["objects", "objects:0", "objects:99999", "::1:9000", ":9000", "objects:http"])
def test_what_is_no_host_with_a_port_is_refused(value):
    with pytest.raises(TrainyardError) as refusal:
        read_settings({"TRAINYARD_STORE_INTERNAL": value})
    assert "TRAINYARD_STORE_INTERNAL" in refusal.value.message


def test_names_are_no_addresses():
    assert literal("s3.example.com") is literal("example") is literal("a1") is None


def test_a_manifest_hears_of_it_at_the_door_with_line_and_hint():
    manifest = MANIFEST.replace("https://s3.example.com", "http://169.254.169.254")
    with pytest.raises(TrainyardError) as refused:
        read_manifest(manifest.encode(), limits(), addresses=AddressPolicy())
    problems = refused.value.problems
    assert [problem.line for problem in problems] == [15, 23]
    assert all("link-local" in problem.message and "TRAINYARD_STORE_INTERNAL" in problem.hint for problem in problems)
    assert problems[0].path == "training_data_reference[0].connection.endpoint_url"
