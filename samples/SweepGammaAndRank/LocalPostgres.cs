using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace SweepGammaAndRank;

/// <summary>
/// A PostgreSQL server of one's own, in a folder: made from what is installed on this machine, reached on the loopback address alone with
/// a password that is made up for it, stopped in the end. A folder that has one already is used again; PostgreSQL does not run as root, so
/// root has it run by the user "postgres".
/// </summary>
public sealed class LocalPostgres : IDisposable
{
    private const string User = "postgres";

    private readonly string _programs;
    private readonly string _data;

    private LocalPostgres(string programs, string data, string connectionString) =>
        (_programs, _data, ConnectionString) = (programs, data, connectionString);

    /// <summary>Why there can be none on this machine; null where there can.</summary>
    public static string? Missing { get; } = FindPrograms() is null
        ? "PostgreSQL is not installed: there is no initdb on the PATH or in /usr/lib/postgresql. " +
            "Install it (Debian: apt-get install postgresql), or name a server that runs elsewhere."
        : null;

    private static bool IsRoot => Environment.IsPrivilegedProcess && !OperatingSystem.IsWindows();

    /// <summary>Where it is, for Npgsql.</summary>
    public string ConnectionString { get; }

    /// <summary>Starts the server of a folder.</summary>
    /// <param name="folder">Made if it is not there. Where root starts it, the user "postgres" must be able to reach it, and owns it from
    /// then on.</param>
    /// <exception cref="InvalidOperationException">PostgreSQL is not installed, or does not start; the message has what it
    /// said.</exception>
    public static LocalPostgres Start(string folder)
    {
        string programs = FindPrograms() ?? throw new InvalidOperationException(Missing);
        folder = Path.GetFullPath(folder);
        string data = Path.Combine(folder, "data"), secret = Path.Combine(folder, "password"), log = Path.Combine(folder, "server.log");
        MakePrivate(folder);
        if (!File.Exists(secret))
        {
            WritePrivate(secret, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)));
        }

        if (IsRoot)
        {
            Run("chown", ["-R", User, folder]);
        }

        if (!File.Exists(Path.Combine(data, "PG_VERSION")))
        {
            RunAsOwner(
                Path.Combine(programs, "initdb"),
                [
                    "-D", data, "-U", User, "--pwfile", secret, "--auth", "scram-sha-256",
                    "--encoding", "UTF8", "--locale", "C", "--no-sync",
                ]);
        }

        string control = Path.Combine(programs, "pg_ctl"), id = Path.Combine(data, "postmaster.pid");
        if (!Succeeds(control, ["status", "-D", data]))
        {
            string options = string.Create(
                CultureInfo.InvariantCulture, $"-p {FreePort()} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''");
            RunAsOwner(control, ["start", "-w", "-t", "30", "-D", data, "-l", log, "-o", options]);
        }

        // The fourth line is the port: PostgreSQL's manual, "Database File Layout".
        string port = File.ReadLines(id).ElementAt(3);
        return new LocalPostgres(
            programs, data, $"Host=127.0.0.1;Port={port};Database=postgres;Username={User};Password={File.ReadAllText(secret)}");
    }

    /// <summary>Stops the server, also one that an earlier process was killed over; the folder stays.</summary>
    public void Dispose() => RunAsOwner(Path.Combine(_programs, "pg_ctl"), ["stop", "-w", "-m", "fast", "-D", _data]);

    /// <summary>The user's alone, before anything is in it.</summary>
    private static void MakePrivate(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
            return;
        }

        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(folder, OwnerOnly);

        // One that was there has the mode that it had; only its owner, or root, may change that.
        File.SetUnixFileMode(folder, OwnerOnly);
    }

    /// <summary>A file that nobody else can read at any moment, and that was not there.</summary>
    private static void WritePrivate(string path, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var writer = new StreamWriter(path, options);
        writer.Write(text);
    }

    private static string? FindPrograms()
    {
        string initdb = OperatingSystem.IsWindows() ? "initdb.exe" : "initdb";
        const string Debian = "/usr/lib/postgresql";
        IEnumerable<string> versions = Directory.Exists(Debian)
            ? Directory.GetDirectories(Debian)
                .OrderByDescending(
                    folder => int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out int version) ? version : 0)
                .Select(folder => Path.Combine(folder, "bin"))
            : [];
        string[] path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return path.Concat(versions).FirstOrDefault(folder => File.Exists(Path.Combine(folder, initdb)));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void RunAsOwner(string program, string[] arguments)
    {
        (program, arguments) = AsOwner(program, arguments);
        Run(program, arguments);
    }

    private static bool Succeeds(string program, string[] arguments)
    {
        (program, arguments) = AsOwner(program, arguments);
        return Call(program, arguments).Code == 0;
    }

    private static (string Program, string[] Arguments) AsOwner(string program, string[] arguments) =>
        IsRoot ? ("runuser", ["-u", User, "--", program, .. arguments]) : (program, arguments);

    private static void Run(string program, string[] arguments)
    {
        (int code, string said) = Call(program, arguments);
        if (code != 0)
        {
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {code}:{Environment.NewLine}{said}");
        }
    }

    private static (int Code, string Said) Call(string program, string[] arguments)
    {
        // In a folder that every user may enter.
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string said = process.StandardOutput.ReadToEnd() + error.GetAwaiter().GetResult();
        process.WaitForExit();
        return (process.ExitCode, said);
    }
}
