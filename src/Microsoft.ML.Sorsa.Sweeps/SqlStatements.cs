using System.Data;
using System.Data.Common;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Statements about one study, on one connection, on which calls from several threads take turns.</summary>
/// <param name="connection">The connection, which stays the caller's; open before the first call.</param>
/// <param name="study">The parameter @study of every statement.</param>
/// <param name="name">The study as messages name it.</param>
/// <param name="explain">From an error of the database to one that says what to do.</param>
internal sealed class SqlStatements(DbConnection connection, string study, string name, Func<DbException, Exception> explain)
{
    private readonly Lock _turn = new();

    /// <summary>All or nothing.</summary>
    /// <param name="act">What is done.</param>
    /// <param name="isolation">Repeatable: nobody else's in between. As it is, the database's own, which is less in PostgreSQL.</param>
    public T InTransaction<T>(Func<DbTransaction, T> act, IsolationLevel isolation = IsolationLevel.Unspecified)
    {
        lock (_turn)
        {
            try
            {
                using DbTransaction transaction = connection.BeginTransaction(isolation);
                T result = act(transaction);
                transaction.Commit();
                return result;
            }
            catch (DbException e)
            {
                throw explain(e);
            }
        }
    }

    public int Execute(DbTransaction transaction, string sql, params (string Name, object? Value)[] values)
    {
        using DbCommand command = Command(transaction, sql, values);
        return command.ExecuteNonQuery();
    }

    /// <summary>The rows that a table gives.</summary>
    /// <param name="transaction">Of which the question is a part.</param>
    /// <param name="columns">Their names, with commas between.</param>
    /// <param name="from">The table, and which rows of it.</param>
    /// <param name="read">Makes of a row what is asked for.</param>
    /// <param name="values">Parameters of the statement.</param>
    public List<T> Query<T>(
        DbTransaction transaction, string columns, string from, Func<StudyRow, T> read, params (string Name, object? Value)[] values)
    {
        using DbCommand command = Command(transaction, $"SELECT {columns} FROM {from}", values);
        using DbDataReader rows = command.ExecuteReader();
        var found = new List<T>();
        var row = new StudyRow(rows, name, from.Split(' ', 2)[0]);
        while (rows.Read())
        {
            found.Add(read(row));
        }

        return found;
    }

    private DbCommand Command(DbTransaction transaction, string sql, (string Name, object? Value)[] values)
    {
        DbCommand command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = sql;
        foreach ((string name, object? value) in values.Prepend(("study", study)))
        {
            DbParameter parameter = command.CreateParameter();
            parameter.ParameterName = name;
            parameter.Value = value ?? DBNull.Value;
            parameter.DbType = value switch
            {
                string => DbType.String,
                int => DbType.Int32,
                null when name is "error" or "begun" => DbType.String,
                _ => DbType.Double,
            };
            command.Parameters.Add(parameter);
        }

        return command;
    }
}
