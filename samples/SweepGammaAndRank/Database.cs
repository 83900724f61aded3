using Npgsql;

namespace SweepGammaAndRank;

/// <summary>
/// The database that the command line or the environment names. A password belongs into no command line, which every user of the machine
/// can read with ps.
/// </summary>
internal static class Database
{
    /// <summary>The environment variable for a whole connection string.</summary>
    public const string Variable = "SORSA_POSTGRES";

    /// <summary>The connection string; null where none is named.</summary>
    /// <param name="argument">The command line's.</param>
    /// <exception cref="ArgumentException">It is no connection string, or has a password in it.</exception>
    public static string? Named(string? argument)
    {
        if (argument is null)
        {
            return Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } variable ? variable : null;
        }

        return string.IsNullOrEmpty(new NpgsqlConnectionStringBuilder(argument).Password)
            ? argument
            : throw new ArgumentException("--postgres has a password in it, which every user of this machine can read. Leave it out, and "
                + $"set the environment variable {Variable} to the whole connection string, or PGPASSWORD to the password, or name a file "
                + "that only you can read with Passfile=... (PostgreSQL's manual, \"The Password File\").");
    }
}
