using System.Diagnostics;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>
/// Two machines: network namespaces with host names of their own and a wire between them (Linux, root). Open MPI's daemon is started on
/// the second as ssh would start it, and everything goes over TCP.
/// </summary>
[TestClass]
[TestCategory("Mpi")]
[DoNotParallelize]
public sealed class TwoMachinesTests
{
    private const string First = "10.77.0.1", Second = "10.77.0.2";

    private readonly string _one = $"sorsa-one-{Environment.ProcessId}", _two = $"sorsa-two-{Environment.ProcessId}";

    /// <summary>One rank on the first machine and two on the second, which take its GPUs in turn.</summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void RanksOfTwoMachinesTrainWhatThoseOfOneDo()
    {
        using var folder = new TemporaryFolder();
        RequireMachines();
        try
        {
            // Of another name than ssh, to which Open MPI gives options.
            string ssh = folder.File("agent");
            File.WriteAllText(ssh, $"#!/bin/sh\nshift\nexec ip netns exec {_two} unshare --uts sh -c \"hostname second; $*\"\n");
            Assert.AreEqual(0, Run("chmod", "+x", ssh));
            string[] command =
            [
                "mpirun.openmpi", "--allow-run-as-root", "--bind-to", "none", "--mca", "plm_rsh_agent", ssh,
                "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "wire", "--mca", "oob_tcp_if_include", "wire",
                "--host", $"{First}:1,{Second}:2", "-n", "3", MpiLaunch.Program, MpiProcess.Argument, folder.Path, "validates=1",
            ];
            using Process process = Process.Start(new ProcessStartInfo(
                "ip", ["netns", "exec", _one, "unshare", "--uts", "sh", "-c", "hostname first; exec \"$@\"", "sh", .. command])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;

            (int exitCode, string errors, RankResult[] ranks) = MpiLaunch.End(process, folder.Path);

            Assert.AreEqual(0, exitCode, errors);
            Assert.AreEqual("0, 0, 1", string.Join(", ", ranks.Select(rank => rank.LocalRank)));
            RankResult[] here = MpiLaunch.Trained(3, "validates=1");
            foreach (RankResult rank in ranks)
            {
                CollectionAssert.AreEqual(here[0].Losses, rank.Losses);
                CollectionAssert.AreEqual(here[0].ValidationLosses, rank.ValidationLosses);
                CollectionAssert.AreEqual(here[0].LogitBits, rank.LogitBits);
            }
        }
        finally
        {
            _ = Run("ip", "netns", "delete", _one);
            _ = Run("ip", "netns", "delete", _two);
        }
    }

    private void RequireMachines()
    {
        MpiLaunch.RequireMpi();
        if (MpiLaunch.Find("mpirun.openmpi") is null || MpiLaunch.Find("ip") is null || MpiLaunch.Find("unshare") is null
            || Run("ip", "netns", "add", _one) != 0)
        {
            Assert.Inconclusive("This needs Open MPI, ip and unshare, and to be allowed to make network namespaces.");
        }

        string[][] commands =
        [
            ["netns", "add", _two], ["-n", _one, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", _two],
            ["-n", _one, "address", "add", $"{First}/24", "dev", "wire"], ["-n", _two, "address", "add", $"{Second}/24", "dev", "wire"],
            ["-n", _one, "link", "set", "lo", "up"], ["-n", _two, "link", "set", "lo", "up"],
            ["-n", _one, "link", "set", "wire", "up"], ["-n", _two, "link", "set", "wire", "up"],
        ];
        foreach (string[] command in commands)
        {
            Assert.AreEqual(0, Run("ip", command), string.Join(' ', command));
        }
    }

    private static int Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        _ = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
