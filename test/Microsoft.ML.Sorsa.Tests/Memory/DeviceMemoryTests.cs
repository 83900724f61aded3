using System.Globalization;
using Microsoft.ML.Sorsa.Memory;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>What is free, from files as Linux has them: with a container's limit of either version, and without one.</summary>
[TestClass]
[TestCategory("Estimate")]
public sealed class DeviceMemoryTests
{
    private const long Machine = 64_000_000L * 1024;

    private static readonly (string Group, string Mounts) s_second =
        ("0::/system/job", "30 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate");

    private static readonly (string Group, string Mounts) s_first =
        ("4:memory:/docker/abc", "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory");

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void WithoutALimitItIsTheMachine()
    {
        using var root = new TemporaryFolder();
        Write(root, "proc/meminfo", "MemTotal: 99000000 kB\nMemAvailable:   64000000 kB\n");

        AvailableMemory? found = DeviceMemory.OfMachine(root.Path);

        Assert.AreEqual(Machine, found!.Bytes);
        StringAssert.Contains(found.Source, "MemAvailable", StringComparison.Ordinal);
    }

    /// <summary>The limit less what is in use; the files' cache in it can go.</summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void TheGroupsLimitCountsOfTheSecondVersion()
    {
        using TemporaryFolder root = Root(s_second);
        Write(root, "sys/fs/cgroup/system/job/memory.max", "8000000000\n");
        Write(root, "sys/fs/cgroup/system/job/memory.current", "5000000000\n");
        Write(root, "sys/fs/cgroup/system/job/memory.stat", "anon 1\ninactive_file 2500000000\nactive_file 500000000\nslab 7\n");

        AvailableMemory? found = DeviceMemory.OfMachine(root.Path);

        Assert.AreEqual(6_000_000_000, found!.Bytes);
        StringAssert.Contains(found.Source, "system/job/memory.max", StringComparison.Ordinal);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void TheGroupsLimitCountsOfTheFirstVersion()
    {
        using TemporaryFolder root = Root(s_first);
        Write(root, "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "8000000000\n");
        Write(root, "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "5000000000\n");
        Write(root, "sys/fs/cgroup/memory/docker/abc/memory.stat", "inactive_file 9\ntotal_inactive_file 1000000000\n");

        Assert.AreEqual(4_000_000_000, DeviceMemory.OfMachine(root.Path)!.Bytes);
    }

    /// <summary>A group without a limit is held by its parent's; "max" and the largest number are none.</summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [DataRow("memory.max", "memory.current", "sys/fs/cgroup/system", "sys/fs/cgroup/system/job", "max", true)]
    [DataRow(
        "memory.limit_in_bytes", "memory.usage_in_bytes", "sys/fs/cgroup/memory/docker", "sys/fs/cgroup/memory/docker/abc",
        "9223372036854771712", false)]
    public void AParentsLimitCounts(string limit, string usage, string parent, string child, string none, bool isSecond)
    {
        using TemporaryFolder root = Root(isSecond ? s_second : s_first);
        Write(root, $"{child}/{limit}", none);
        Write(root, $"{child}/{usage}", "1000");
        Write(root, $"{parent}/{limit}", "3000000000");
        Write(root, $"{parent}/{usage}", "1000000000");

        Assert.AreEqual(2_000_000_000, DeviceMemory.OfMachine(root.Path)!.Bytes);
    }

    /// <summary>In a container the group's own folder is what is mounted, whatever its name outside.</summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [DataRow("0::/", "/")]
    [DataRow("0::/pods/1/inside", "/pods/1/inside")]
    [DataRow("0::/../elsewhere", "/../elsewhere")]
    public void TheMountMayBeTheGroup(string group, string mountRoot)
    {
        using TemporaryFolder root = Root((group, $"30 23 0:27 {mountRoot} /sys/fs/cgroup rw - cgroup2 cgroup rw"));
        Write(root, "sys/fs/cgroup/memory.max", "1000000000");
        Write(root, "sys/fs/cgroup/memory.current", "400000000");

        Assert.AreEqual(600_000_000, DeviceMemory.OfMachine(root.Path)!.Bytes);
    }

    /// <summary>A limit above what the machine has left is none; one that is used up leaves nothing.</summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [DataRow(900_000_000_000, 0, Machine)]
    [DataRow(1_000_000_000, 1_500_000_000, 0)]
    public void TheLessCounts(long limit, long usage, long expected)
    {
        using TemporaryFolder root = Root(s_second);
        Write(root, "sys/fs/cgroup/system/job/memory.max", limit.ToString(CultureInfo.InvariantCulture));
        Write(root, "sys/fs/cgroup/system/job/memory.current", usage.ToString(CultureInfo.InvariantCulture));

        Assert.AreEqual(expected, DeviceMemory.OfMachine(root.Path)!.Bytes);
    }

    [TestMethod]
    public void ThisMachineHasSome() => Assert.IsGreaterThan(0, DeviceMemory.Of(CPU)!.Bytes);

    private static TemporaryFolder Root((string Group, string Mounts) groups)
    {
        var root = new TemporaryFolder();
        Write(root, "proc/meminfo", "MemAvailable:   64000000 kB\n");
        Write(root, "proc/self/cgroup", $"9:name=systemd:/\n{groups.Group}\n");
        Write(root, "proc/self/mountinfo", $"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n{groups.Mounts}\n");
        return root;
    }

    private static void Write(TemporaryFolder root, string path, string text)
    {
        string file = root.File(path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
