using System.Globalization;
using Hangfire;
using Hangfire.PostgreSql;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace SweepGammaAndRank;

/// <summary>
/// Hangfire's dashboard on this machine alone: the trials as jobs, and the workers. It may be looked at, and nothing can be changed with
/// it.
/// </summary>
internal sealed class Dashboard : IDisposable
{
    private readonly WebApplication _site;

    /// <param name="connectionString">The database.</param>
    /// <param name="port">Of the loopback address; 0: a free one.</param>
    public Dashboard(string connectionString, int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddHangfire(hangfire => hangfire.UsePostgreSqlStorage(storage => storage.UseNpgsqlConnection(connectionString)));
        _site = builder.Build();
        _site.UseHangfireDashboard("", new DashboardOptions { IsReadOnlyFunc = _ => true });
        _site.StartAsync().GetAwaiter().GetResult();
        Address = new Uri(_site.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public Uri Address { get; }

    public void Dispose() => _site.DisposeAsync().AsTask().GetAwaiter().GetResult();
}
