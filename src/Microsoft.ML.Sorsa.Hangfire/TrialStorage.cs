using System.Globalization;
using Hangfire.Common;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Hangfire.Storage;
using Npgsql;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Hangfire's tables, read by the one rule that a job is a trial or an error: see <see cref="TrialCall"/>. All that Hangfire does with a
/// job of this storage, whoever asks for it, begins with <see cref="JobStorageConnection.GetJobData"/>.
/// </summary>
internal sealed class TrialStorage(string connectionString, PostgreSqlStorageOptions options)
    : PostgreSqlStorage(new NpgsqlConnectionFactory(connectionString, options), options)
{
    private readonly string _query =
        $"SELECT invocationdata, arguments, statename, createdat FROM \"{options.SchemaName}\".job WHERE id = @id";

    public override IStorageConnection GetConnection() => new Connection(this);

    private JobData? Read(string jobId)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        using var command = new NpgsqlCommand(_query, connection);
        command.Parameters.AddWithValue("id", long.Parse(jobId, CultureInfo.InvariantCulture));
        using NpgsqlDataReader row = command.ExecuteReader();
        if (!row.Read())
        {
            return null;
        }

        var data = new JobData { State = row.IsDBNull(2) ? null : row.GetString(2), CreatedAt = row.GetDateTime(3) };
        try
        {
            data.Job = TrialCall.Read(Text(row, 0), Text(row, 1));
        }
        catch (InvalidDataException e)
        {
            // Hangfire moves such a job to the failed state, and shows the inner message.
            data.LoadException = new JobLoadException(e.Message, e);
        }

        return data;
    }

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private sealed class Connection(TrialStorage storage) : PostgreSqlConnection(storage)
    {
        public override JobData? GetJobData(string id) => storage.Read(id);
    }
}
